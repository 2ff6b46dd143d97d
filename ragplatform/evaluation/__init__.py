"""How good answers are: questions with known answers, asked through the gate and judged."""
