#include "guest/payload/include/vm_payload.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "guest/payload/include/adyton/payload.h"
#include "guest/init/launcher.h"
#include "rpc/ndk/bridge.h"

namespace {

constexpr size_t kMaxChallengeSize = 64;
constexpr int32_t kRollbackProtectionFailed = -3;  // vm_payload.h of AVF: "failed"
constexpr char kContentsPath[] = "/mnt/apk";
constexpr char kStoragePath[] = "/mnt/encryptedstore";

[[noreturn]] void give_up(const adyton::Error& error) {
  std::fprintf(stderr, "adyton payload: %s\n", error.message.c_str());
  std::abort();
}

bool is_folder(const char* path) {
  struct stat info {};
  return ::stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

// Of a payload that is a shared library: of that.
std::string folder_of_the_payload() {
  char path[4096];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  const char* library = std::getenv(adyton::guest::kLibraryVariable);
  const std::string name = library != nullptr ? library : std::string(path, size > 0 ? static_cast<size_t>(size) : 0);
  const size_t slash = name.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : name.substr(0, slash);
}

}  // namespace

void AVmPayload_notifyPayloadReady() {
  if (const auto told = adyton::payload::notify_ready(); !told) give_up(told.error());
}

void AVmPayload_runVsockRpcServer(AIBinder* service, uint32_t port, void (*on_ready)(void* param), void* param) {
  const auto served = adyton::payload::serve_vsock(adyton::rpc::binder_of(service), port, [&] {
    if (on_ready != nullptr) on_ready(param);
  });
  give_up(served.error());
}

int AVmPayload_getVmInstanceSecret(const void*, size_t, void*, size_t) { return AVMPAYLOAD_UNSUPPORTED; }

const char* AVmPayload_getApkContentsPath() {
  static const std::string path = is_folder(kContentsPath) ? kContentsPath : folder_of_the_payload();
  return path.c_str();
}

const char* AVmPayload_getEncryptedStoragePath() { return is_folder(kStoragePath) ? kStoragePath : nullptr; }

bool AVmPayload_isNewInstance() { return true; }

int32_t AVmPayload_writeRollbackProtectedSecret(const void*, size_t) { return kRollbackProtectionFailed; }
int32_t AVmPayload_readRollbackProtectedSecret(void*, size_t) { return kRollbackProtectionFailed; }

AVmAttestationStatus AVmPayload_requestAttestation(const void*, size_t challenge_size, AVmAttestationResult** result) {
  *result = nullptr;
  return challenge_size > kMaxChallengeSize ? ATTESTATION_ERROR_INVALID_CHALLENGE : ATTESTATION_ERROR_UNSUPPORTED;
}

const char* AVmAttestationStatus_toString(AVmAttestationStatus status) {
  switch (status) {
    case ATTESTATION_OK: return "attested";
    case ATTESTATION_ERROR_INVALID_CHALLENGE: return "the challenge is longer than 64 bytes";
    case ATTESTATION_ERROR_ATTESTATION_FAILED: return "attestation failed";
    case ATTESTATION_ERROR_UNSUPPORTED: return "nobody can vouch for this virtual machine";
  }
  return "unknown status";
}

// Nobody makes results: see the header.
size_t AVmAttestationResult_getPrivateKey(const AVmAttestationResult*, void*, size_t) { return 0; }
size_t AVmAttestationResult_sign(const AVmAttestationResult*, const void*, size_t, void*, size_t) { return 0; }
size_t AVmAttestationResult_getCertificateCount(const AVmAttestationResult*) { return 0; }
size_t AVmAttestationResult_getCertificateAt(const AVmAttestationResult*, size_t, void*, size_t) { return 0; }
void AVmAttestationResult_free(AVmAttestationResult*) {}
const char* AVmAttestationResult_resultToString(attestation_status_t status) { return AVmAttestationStatus_toString(status); }

int AVmPayload_mountEncryptedAssets(const char*, const char*, const char*, const uint8_t*, size_t, int, char* mount_point,
                                    size_t mount_point_size) {
  if (mount_point_size > 0) *mount_point = '\0';
  return AVMPAYLOAD_UNSUPPORTED;
}
