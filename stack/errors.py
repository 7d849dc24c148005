class StackError(Exception):
    """The stack cannot do what was asked. The message says why and what to do about it, in one or two sentences."""
