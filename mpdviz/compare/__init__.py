"""Many runs or checkpoints side by side: plan, launch, collect, paired statistics, cross what-if."""
