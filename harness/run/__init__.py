"""Run checks: plan, jobs, worker processes, the store of measurements."""
