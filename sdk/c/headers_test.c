// The headers for C serve a C11 compiler with all its warnings.
#include <adyton/virtualization.h>
#include <android/log.h>
#include <vm_main.h>
#include <vm_payload.h>

int AVmPayload_main(void) {
  AVirtualMachineRawConfig* config = AVirtualMachineRawConfig_create();
  AVmAttestationResult* result = NULL;
  AVmAttestationStatus status;
  AVirtualMachineRawConfig_destroy(config);
  status = AVmPayload_requestAttestation("", 0, &result);
  __android_log_print(ANDROID_LOG_INFO, "test", "%s", AVmAttestationStatus_toString(status));
  AVmAttestationResult_free(result);
  return 0;
}
