"""What an application installs: decisions and rendering from memory, events sent in the back."""
