// The entry of a payload, by AVF's name. libadyton_payload has a main() that calls it, for programs that have none of their own.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// Defined by the payload; its result is the payload's exit code.
int AVmPayload_main(void);

#ifdef __cplusplus
}
#endif
