"""Episodes -> labelled pairs: which windows are compared, who answers and errs, which pairs stay."""
