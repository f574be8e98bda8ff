"""The conversation: the messages of a run, which are what a message thread sends."""

from looplet.conversation.conversation import (
    LARGE_CONTENT_TYPES,
    SUMMARY_HEAD,
    Conversation,
    Summarizer,
    default_summarizer,
    safe_cut,
)
from looplet.conversation.message import (
    BOUNDARY_KIND,
    ContentBlock,
    Message,
    MessageRole,
    is_boundary,
    message_from_dict,
    message_to_dict,
)

__all__ = [
    "BOUNDARY_KIND",
    "LARGE_CONTENT_TYPES",
    "SUMMARY_HEAD",
    "ContentBlock",
    "Conversation",
    "Message",
    "MessageRole",
    "Summarizer",
    "default_summarizer",
    "is_boundary",
    "message_from_dict",
    "message_to_dict",
    "safe_cut",
]
