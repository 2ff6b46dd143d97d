"""The interface in the shape of OpenAI's API: chat, responses, embeddings, models."""
