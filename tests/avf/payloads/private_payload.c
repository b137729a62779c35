// MicrodroidPrivateLinkingNativeLib: links a library that payloads do not have.
extern int adyton_private_function(void);
int AVmPayload_main(void);
int AVmPayload_main(void) { return adyton_private_function(); }
