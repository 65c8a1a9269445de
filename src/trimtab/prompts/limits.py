"""How much text, work and depth one rendering may use."""

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Caps of one version and of one rendering of it.

    `fuel` is the one that bounds time and memory together: a step is about 100 ns of work or
    eight bytes of fresh memory, whichever is more, so 2,000,000 steps stay below half a second
    and 30 MB.

    Attributes:
        source_bytes: UTF-8 bytes of a template, and of a version with its includes inlined.
        output_bytes: UTF-8 bytes of all rendered messages together.
        text_chars: Characters of one string made while rendering.
        fuel: Steps all messages of one rendering share.
        nodes: Syntax nodes of a version with its includes inlined.
        expression_depth: Nesting of one expression; filters and operators in a chain count.
        block_depth: Nesting of `if`, `for`, `set`, `with`, `filter` and `macro` blocks.
        include_depth: Fragments inside fragments.
        value_depth: Containers inside containers.
        value_items: Items of one value made while rendering, counted through all its levels.
        input_items: Items of all values given to a rendering, counted through all levels.
        input_chars: Characters of all values given to a rendering.
    """

    source_bytes: int = 64 * 1024
    output_bytes: int = 256 * 1024
    text_chars: int = 256 * 1024
    fuel: int = 2_000_000
    nodes: int = 5_000
    expression_depth: int = 48
    block_depth: int = 16
    include_depth: int = 8
    value_depth: int = 32
    value_items: int = 100_000
    input_items: int = 100_000
    input_chars: int = 1024 * 1024


DEFAULT_LIMITS = Limits()
