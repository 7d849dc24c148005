"""What is documented: what the code says, not what this machine's environment says."""

from stack.settings import Settings
from streams.topics import topics

DEFAULTS = Settings.model_construct()
TOPICS = topics(DEFAULTS.topic_prefix, DEFAULTS.generation)
