"""What a run of training needs around it: arguments, a folder of its own, saving, stopping, going on."""
