// MicrodroidEmptyNativeLib: no entry.
int unrelated(void);
int unrelated(void) { return 1; }
