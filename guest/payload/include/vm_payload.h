// What a payload calls, by the names of Android's AVF (libs/libvm_payload/include/vm_payload.h), so that payloads written for it compile.
// In C and C++. Threading: any thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct AIBinder AIBinder;

// Tells the host that the payload serves: IVirtualMachineCallback::onPayloadReady there. Ends the program with a message if the host does
// not answer.
void AVmPayload_notifyPayloadReady(void);

// Serves one object over RpcBinder on a vsock port (1024 or above) to the host, and to nobody else; does not return. `on_ready` (may be
// NULL) is called once, with `param`, when the host can connect. Ends the program with a message if the port is taken.
__attribute__((noreturn)) void AVmPayload_runVsockRpcServer(AIBinder* service, uint32_t port, void (*on_ready)(void* param), void* param);

// What cannot be given is said by these; AVF's own functions end the program then.
enum {
  AVMPAYLOAD_OK = 0,
  AVMPAYLOAD_UNSUPPORTED = -1,
};

// A secret that only this instance of the VM gets, the same at each boot. There is no sealing yet: AVMPAYLOAD_UNSUPPORTED, always, and
// `secret` is not written. A caller that goes on without looking has no secret.
__attribute__((warn_unused_result)) int AVmPayload_getVmInstanceSecret(const void* identifier, size_t identifier_size, void* secret, size_t size);

// The folder that the payload's own files are in: read only as a rule. Valid for ever.
const char* AVmPayload_getApkContentsPath(void);

// The folder that keeps its contents from boot to boot, encrypted; NULL if the VM has none.
const char* AVmPayload_getEncryptedStoragePath(void);

// Whether this is the VM's first boot. Without sealing every boot is: nothing of an earlier one is trusted.
bool AVmPayload_isNewInstance(void);

// 32 bytes that survive reboots and cannot be rolled back. Negative: -3, there is no such store yet.
int32_t AVmPayload_writeRollbackProtectedSecret(const void* buffer, size_t size);
int32_t AVmPayload_readRollbackProtectedSecret(void* buffer, size_t size);

typedef enum AVmAttestationStatus {
  ATTESTATION_OK = 0,
  ATTESTATION_ERROR_INVALID_CHALLENGE = -10001,
  ATTESTATION_ERROR_ATTESTATION_FAILED = -10002,
  ATTESTATION_ERROR_UNSUPPORTED = -10003,
} AVmAttestationStatus;
typedef struct AVmAttestationResult AVmAttestationResult;

// A certificate for a key of this VM. ATTESTATION_ERROR_INVALID_CHALLENGE for more than 64 bytes, else ATTESTATION_ERROR_UNSUPPORTED: nobody
// here can vouch for a VM yet. `*result` becomes NULL.
AVmAttestationStatus AVmPayload_requestAttestation(const void* challenge, size_t challenge_size, AVmAttestationResult** result);
// A sentence for a person. Valid for ever.
const char* AVmAttestationStatus_toString(AVmAttestationStatus status);

// What a successful request gives: an EC P-256 private key (DER, RFC 5915), signatures with it (ECDSA with SHA-256, DER), and its
// chain of X.509 certificates (DER, the key's own first). Each writes at most `size` bytes to `data` and returns how many there
// are in all. There are no such results yet: for NULL, which is all that a request can have given, nothing is written and the
// answer is 0.
size_t AVmAttestationResult_getPrivateKey(const AVmAttestationResult* result, void* data, size_t size);
size_t AVmAttestationResult_sign(const AVmAttestationResult* result, const void* message, size_t message_size, void* data,
                                 size_t size);
size_t AVmAttestationResult_getCertificateCount(const AVmAttestationResult* result);
size_t AVmAttestationResult_getCertificateAt(const AVmAttestationResult* result, size_t index, void* data, size_t size);
void AVmAttestationResult_free(AVmAttestationResult* result);  // NULL is allowed

// Their names before Android 15.
typedef AVmAttestationStatus attestation_status_t;
const char* AVmAttestationResult_resultToString(attestation_status_t status);

// Mounts an encrypted file system image (`filesystem`: "erofs"; `cipher`: dm-crypt's name for it; `sector_size` in bytes) and
// writes the path of the mount point. Not available: always AVMPAYLOAD_UNSUPPORTED, `mount_point` becomes "". A payload brings
// its files along, and what is secret about them it decrypts itself.
int AVmPayload_mountEncryptedAssets(const char* image, const char* filesystem, const char* cipher, const uint8_t* key,
                                    size_t key_size, int sector_size, char* mount_point, size_t mount_point_size);

#ifdef __cplusplus
}
#endif
