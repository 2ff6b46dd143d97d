"""The question's way: from a question and a principal to a cited, screened, recorded answer."""
