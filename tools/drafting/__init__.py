"""How a draft is put together: what a report of a region speaks of, the style of stored ones, an LLM's wording."""
