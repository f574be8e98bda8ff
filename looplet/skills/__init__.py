"""Skills: tools, instructions and memory that belong together, and the shelf from which a run takes them.

Only the catalogue of a shelf is in the prompt; a skill's instructions come when the model activates it, and
its tools with them.
"""

from looplet.skills.folder import load_skill, load_skills
from looplet.skills.shelf import SHELF_TOOLS, SkillShelf
from looplet.skills.skill import Skill

__all__ = ["SHELF_TOOLS", "Skill", "SkillShelf", "load_skill", "load_skills"]
