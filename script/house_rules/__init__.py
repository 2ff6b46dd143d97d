"""Rules of this code base that no general linter knows: ``python -m script.house_rules``."""
