"""How many tasks, and rows of each, a study needs for axes that can be relied upon."""

from identirep.planning.planned import plan
from identirep.planning.result import Plan, RowsNeeded, TasksNeeded
from identirep.planning.result import size as size
from identirep.planning.rule import too_few as too_few
from identirep.planning.searching import SIZES as SIZES
from identirep.planning.searching import smallest as smallest

__all__ = ["Plan", "RowsNeeded", "TasksNeeded", "plan"]
