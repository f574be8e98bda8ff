"""looplet: an agent loop you own, as an iterator of steps, with hooks as protocol objects.

Nothing is imported until a name is asked for: `import looplet` costs next to nothing, and
`looplet.composable_loop` loads the loop and not the rest. Every name here is the same object as in
the module it comes from.
"""

from looplet.lazy import names_of

TYPE_CHECKING = False  # what typing.TYPE_CHECKING is at run time, without importing typing
if TYPE_CHECKING:
    from looplet.approval import ApprovalHook as ApprovalHook
    from looplet.backends import (
        AnthropicBackend as AnthropicBackend,
        AsyncAnthropicBackend as AsyncAnthropicBackend,
        AsyncOpenAIBackend as AsyncOpenAIBackend,
        OpenAIBackend as OpenAIBackend,
    )
    from looplet.budget import ContextBudget as ContextBudget, ThresholdCompactHook as ThresholdCompactHook
    from looplet.cache import CachePolicy as CachePolicy
    from looplet.checkpoint import (
        Checkpoint as Checkpoint,
        CheckpointedHook as CheckpointedHook,
        CheckpointStore as CheckpointStore,
        FileCheckpointStore as FileCheckpointStore,
    )
    from looplet.compact import (
        CompactOutcome as CompactOutcome,
        CompactService as CompactService,
        PruneToolResults as PruneToolResults,
        SummarizeCompact as SummarizeCompact,
        TruncateCompact as TruncateCompact,
        compact_chain as compact_chain,
        run_compact as run_compact,
    )
    from looplet.conversation import Conversation as Conversation, Message as Message
    from looplet.errors import (
        CheckpointError as CheckpointError,
        ConfigError as ConfigError,
        LoopletError as LoopletError,
        ModelError as ModelError,
        ScriptExhausted as ScriptExhausted,
        TraceError as TraceError,
    )
    from looplet.evals import (
        EvalContext as EvalContext,
        EvalHook as EvalHook,
        EvalResult as EvalResult,
        eval_cli as eval_cli,
        eval_discover as eval_discover,
        eval_mark as eval_mark,
        eval_run as eval_run,
        eval_run_batch as eval_run_batch,
    )
    from looplet.events import EventPayload as EventPayload, LifecycleEvent as LifecycleEvent
    from looplet.hook_decision import (
        Allow as Allow,
        Block as Block,
        Continue as Continue,
        Deny as Deny,
        HookDecision as HookDecision,
        InjectContext as InjectContext,
        Stop as Stop,
    )
    from looplet.loop import (
        DomainAdapter as DomainAdapter,
        LoopConfig as LoopConfig,
        LoopHook as LoopHook,
        async_composable_loop as async_composable_loop,
        composable_loop as composable_loop,
        emit_event as emit_event,
    )
    from looplet.mcp import MCPToolAdapter as MCPToolAdapter
    from looplet.memory import (
        CallableMemorySource as CallableMemorySource,
        StaticMemorySource as StaticMemorySource,
    )
    from looplet.permissions import (
        PermissionDecision as PermissionDecision,
        PermissionEngine as PermissionEngine,
        PermissionHook as PermissionHook,
        PermissionRule as PermissionRule,
    )
    from looplet.presets import (
        AgentPreset as AgentPreset,
        coding_agent_preset as coding_agent_preset,
        minimal_preset as minimal_preset,
        research_agent_preset as research_agent_preset,
    )
    from looplet.prompts import preview_prompt as preview_prompt
    from looplet.provenance import (
        ProvenanceSink as ProvenanceSink,
        TrajectoryRecorder as TrajectoryRecorder,
        replay_loop as replay_loop,
    )
    from looplet.session import SessionLog as SessionLog
    from looplet.skills import Skill as Skill
    from looplet.streaming import StreamingHook as StreamingHook
    from looplet.subagent import async_run_sub_loop as async_run_sub_loop, run_sub_loop as run_sub_loop
    from looplet.telemetry import (
        MetricsCollector as MetricsCollector,
        MetricsHook as MetricsHook,
        Tracer as Tracer,
        TracingHook as TracingHook,
    )
    from looplet.testing import AsyncMockLLMBackend as AsyncMockLLMBackend, MockLLMBackend as MockLLMBackend
    from looplet.tools import (
        BaseToolRegistry as BaseToolRegistry,
        ToolSpec as ToolSpec,
        tool as tool,
        tools_from as tools_from,
    )
    from looplet.trajectory import (
        Exchange as Exchange,
        RecordedCall as RecordedCall,
        Trajectory as Trajectory,
        TrajectoryBuilder as TrajectoryBuilder,
        async_run_loop as async_run_loop,
        run_loop as run_loop,
    )
    from looplet.types import (
        AgentState as AgentState,
        CancelToken as CancelToken,
        Capabilities as Capabilities,
        ChatBackend as ChatBackend,
        ChatReply as ChatReply,
        DefaultState as DefaultState,
        ErrorKind as ErrorKind,
        LLMBackend as LLMBackend,
        ModelPrice as ModelPrice,
        NativeToolBackend as NativeToolBackend,
        Step as Step,
        ToolCall as ToolCall,
        ToolContext as ToolContext,
        ToolError as ToolError,
        ToolResult as ToolResult,
        Usage as Usage,
    )

__version__ = "0.1.0"

_NAMES = {
    "approval": "ApprovalHook",
    "backends": "AnthropicBackend AsyncAnthropicBackend AsyncOpenAIBackend OpenAIBackend",
    "budget": "ContextBudget ThresholdCompactHook",
    "cache": "CachePolicy",
    "checkpoint": "Checkpoint CheckpointStore CheckpointedHook FileCheckpointStore",
    "compact": (
        "CompactOutcome CompactService PruneToolResults SummarizeCompact TruncateCompact compact_chain "
        "run_compact"
    ),
    "conversation": "Conversation Message",
    "errors": "CheckpointError ConfigError LoopletError ModelError ScriptExhausted TraceError",
    "evals": "EvalContext EvalHook EvalResult eval_cli eval_discover eval_mark eval_run eval_run_batch",
    "events": "EventPayload LifecycleEvent",
    "hook_decision": "Allow Block Continue Deny HookDecision InjectContext Stop",
    "loop": "DomainAdapter LoopConfig LoopHook async_composable_loop composable_loop emit_event",
    "mcp": "MCPToolAdapter",
    "memory": "CallableMemorySource StaticMemorySource",
    "permissions": "PermissionDecision PermissionEngine PermissionHook PermissionRule",
    "presets": "AgentPreset coding_agent_preset minimal_preset research_agent_preset",
    "prompts": "preview_prompt",
    "provenance": "ProvenanceSink TrajectoryRecorder replay_loop",
    "session": "SessionLog",
    "skills": "Skill",
    "streaming": "StreamingHook",
    "subagent": "async_run_sub_loop run_sub_loop",
    "telemetry": "MetricsCollector MetricsHook Tracer TracingHook",
    "testing": "AsyncMockLLMBackend MockLLMBackend",
    "tools": "BaseToolRegistry ToolSpec tool tools_from",
    "trajectory": "Exchange RecordedCall Trajectory TrajectoryBuilder async_run_loop run_loop",
    "types": (
        "AgentState CancelToken Capabilities ChatBackend ChatReply DefaultState ErrorKind LLMBackend "
        "ModelPrice NativeToolBackend Step ToolCall ToolContext ToolError ToolResult Usage"
    ),
}
"""Module, and the public names it gives to this window."""

__all__, __getattr__ = names_of(__name__, _NAMES)  # pyright: ignore[reportUnsupportedDunderAll]
__all__ += ["__version__"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
