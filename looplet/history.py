"""Writing one step or one model turn to everything that keeps history."""

from __future__ import annotations

from collections.abc import Iterable

from looplet.conversation import BOUNDARY_KIND, Conversation, Message, MessageRole
from looplet.session import SessionLog
from looplet.types import AgentState, Step


class HistoryRecorder:
    """Keeps a state, a session log and a conversation in step; each of them is optional.

    Args:
        state: Its `steps` grow.
        session_log: Gets an entry for each step.
        conversation: Gets the messages of each step and model turn.
        max_message_chars: Most characters that are kept of a prompt or a reply.
    """

    def __init__(
        self,
        *,
        state: AgentState | None = None,
        session_log: SessionLog | None = None,
        conversation: Conversation | None = None,
        max_message_chars: int = 5000,
    ) -> None:
        self.state = state
        self.session_log = session_log
        self.conversation = conversation
        self.max_message_chars = max_message_chars

    def record_step(
        self,
        step: Step,
        *,
        theory: str = "",
        entities: Iterable[str] | None = None,
        findings: Iterable[str] | None = None,
        highlights: Iterable[str] | None = None,
        recall_key: str = "",
    ) -> None:
        """Add *step* everywhere. A state whose last step it is already is left as it is."""
        call, state = step.tool_call, self.state
        if state is not None and not (state.steps and state.steps[-1] is step):
            state.steps.append(step)
        if self.session_log is not None:
            self.session_log.record(
                step.number,
                theory,
                call.tool,
                call.reasoning,
                entities=entities,
                findings=findings,
                highlights=highlights,
                recall_key=recall_key,
            )
        if self.conversation is not None:
            self.conversation.append(Message(MessageRole.ASSISTANT, "", tool_call=call))
            self.conversation.append(Message(MessageRole.TOOL, "", tool_result=step.tool_result))

    def record_llm_turn(self, *, prompt: str, response: object) -> None:
        """Add what was asked and what the model answered, each cut to `max_message_chars`."""
        if self.conversation is None:
            return
        answer = response if isinstance(response, str) else str(response)
        self.conversation.append(Message(MessageRole.USER, prompt[: self.max_message_chars]))
        self.conversation.append(Message(MessageRole.ASSISTANT, answer[: self.max_message_chars]))

    def record_compaction_boundary(self, *, summary: str, dropped_step_range: tuple[int, int]) -> None:
        """Mark in the conversation that the steps of *dropped_step_range* (first, last) went away."""
        if self.conversation is None:
            return
        metadata = {"kind": BOUNDARY_KIND, "summary": summary, "dropped_step_range": dropped_step_range}
        self.conversation.append(Message(MessageRole.SYSTEM, summary, metadata=metadata))
