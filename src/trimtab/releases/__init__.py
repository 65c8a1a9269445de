"""The rules of a release: what may be promoted, how a rollout climbs, what clients are sent."""
