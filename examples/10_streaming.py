"""Streaming: the reply piece by piece, and everything else as events, while the steps come as always.

Prints:
    Rome | is | warm.
    LoopStartEvent StepStartEvent LLMCallStartEvent LLMChunkEvent LLMChunkEvent LLMChunkEvent
"""

from looplet import LoopConfig, composable_loop, tools_from
from looplet.streaming import CallbackEmitter, LLMChunkEvent
from looplet.testing import ScriptedChatBackend, chunks

events = []
llm = ScriptedChatBackend(chunks("Rome", " is", " warm."))
config = LoopConfig(stream_tokens=True)
tools = tools_from([], include_done=True)

for _ in composable_loop(llm, "Rome?", tools, config=config, stream=CallbackEmitter(events.append)):
    pass
print(" |".join(event.chunk for event in events if isinstance(event, LLMChunkEvent)))
print(*(event.event_type for event in events[:6]))
