"""New tasks from few rows, the latents held."""

from identirep.mtlcm.new_tasks.adapt import adapt_task, check_new_task
from identirep.mtlcm.new_tasks.task import AdaptedTask, Interval, Use, check_use

__all__ = ["AdaptedTask", "Interval", "Use", "adapt_task", "check_new_task", "check_use"]
