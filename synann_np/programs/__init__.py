"""What the commands do: training runs, recipes, photographs of digits, pictures, the ablation study."""
