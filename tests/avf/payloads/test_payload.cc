// A payload as AVF has them: a shared library, with nothing but AVF's names in it.
#include <stdio.h>
#include <unistd.h>
#include <vm_main.h>
#include <vm_payload.h>

extern "C" int AVmPayload_main(void) {
  printf("contents in %s\n", AVmPayload_getApkContentsPath());
  fflush(stdout);
  AVmPayload_notifyPayloadReady();
  return 42;
}
