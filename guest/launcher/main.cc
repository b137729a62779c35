// Runs a payload that is a shared library: loads it with all that it needs, and calls AVmPayload_main(). What prevents that is told to init,
// which takes the payload as never started then, and is on the payload's standard error too, in AVF's words.
// Knows the C library only: the payload brings the C++ one that it was linked with, if any.
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "guest/init/launcher.h"

namespace {

using namespace adyton::guest;

constexpr int kExitNotExecutable = 126;

[[noreturn]] void give_up(const char* what, const char* library, const char* why) {
  char sentence[1024];
  std::snprintf(sentence, sizeof sentence, "%s %s: %s", what, library, why);
  std::fprintf(stderr, "adyton: %s\n", sentence);
  (void)!::write(kLaunchPipe, sentence, std::strlen(sentence));
  ::_exit(kExitNotExecutable);
}

}  // namespace

int main(int argc, char** argv) {
  ::fcntl(kLaunchPipe, F_SETFD, FD_CLOEXEC);
  if (argc < 2) give_up("Failed to dlopen", "the payload", "it has no name");
  const char* library = argv[1];
  ::setenv(kLibraryVariable, library, /*overwrite=*/1);
  void* const handle = ::dlopen(library, RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) give_up("Failed to dlopen", library, ::dlerror());
  void* const entry = ::dlsym(handle, "AVmPayload_main");
  if (entry == nullptr) give_up("Failed to find entrypoint AVmPayload_main in", library, "the library does not define it");
  (void)!::write(kLaunchPipe, &kLaunched, 1);
  ::close(kLaunchPipe);
  return reinterpret_cast<int (*)()>(entry)();
}
