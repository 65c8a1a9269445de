"""The template language: what may be written, and what each piece of work costs."""
