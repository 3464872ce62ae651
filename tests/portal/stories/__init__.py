"""Stories: what people do with the pages, from one to the next, in a real browser."""
