"""Where a run with a journal starts: at its beginning, or where the journal ends.

What a resumed run knows is what the journal holds. Secrets are never written, so a value that was replaced by
its placeholder (`[env:NAME]`, `[redacted:kind]`) comes back as that placeholder, in results, arguments and
prompts alike.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from looplet.checkpoint.snapshot import Checkpoint
from looplet.checkpoint.store import FileCheckpointStore, continue_from
from looplet.checkpoint.writer import RunJournal
from looplet.engine.run import Run
from looplet.errors import CheckpointError
from looplet.redact import Redactor
from looplet.values import normal


def resume_or_begin(
    journal: RunJournal, run: Run, agent: Mapping[str, Any], mode: str, initial: Checkpoint | None = None
) -> None:
    """Bring *run* to where its journal ends, or begin a new journal.

    A journal that holds a run already goes on from its own end, whatever the checkpoint is. Where there is
    none, a new one begins with the latest checkpoint that was saved as a file in its folder.

    Args:
        agent: Who the agent is: `{"tools": {name: fingerprint}, "rules": fingerprint}`.
        mode: "auto" resumes only the same task and agent, "force" anything, "never" begins anew and keeps the
            old journal beside the new one.
        initial: The checkpoint that a new journal begins with, if not with one of its folder.

    Secrets come back as the placeholders that stand for them in the journal.

    Raises:
        CheckpointError: The journal is another run's, is finished, or is damaged.
    """
    file = journal.file
    if mode == "never":
        file.set_aside()
    records = file.read(forgiving=mode == "force")
    if not records:
        file.cut_after(0)
        if initial is None and mode != "never":
            initial = _saved_in(os.path.dirname(file.path), run.plan.task, mode)
        if initial is not None:
            continue_from(run, initial)
        journal.begin(run, agent)
        if initial is not None:
            journal.compacted(run)  # what it knows already, so that the journal is all that a resume needs
        return
    from looplet.checkpoint.restore import Restorer, check_identity, whole  # a run that begins does without

    if mode == "auto":
        check_identity(records, normal(run.plan.task), agent, file.path)
    keep = whole(records)
    restorer = Restorer(run, file.path)
    with journal.muted():
        restorer.apply(records[:keep])
    file.cut_after(keep)
    journal.resumed(run, restorer.began, restorer.prompt)


def _saved_in(folder: str, task: Any, mode: str) -> Checkpoint | None:
    latest = FileCheckpointStore(folder).load_latest()
    if latest is None or mode == "force":
        return latest
    then, now = str(latest.metadata.get("task", task)), str(task)
    problems = []
    if then not in (now, Redactor.of_environment().text(now)):
        problems.append(f"it is of another task ({then[:60]!r}, not {now[:60]!r})")
    if latest.metadata.get("status") == "done":
        problems.append("that run is finished")
    if problems:
        raise CheckpointError(
            f"{folder}: the checkpoint of step {latest.step_number} cannot be resumed: "
            f"{'; '.join(problems)}. "
            'Pass another checkpoint_dir, or LoopConfig(resume="never") to begin anew'
        )
    return latest
