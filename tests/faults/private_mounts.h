// File systems of a limited size, seen by nobody else.
#pragma once
#include <functional>
#include <string>

namespace adyton::faults {

// Runs `body`, which may mount(), in a child process with a mount namespace (and, without root, a user namespace) of its own.
// Failures of the child's expectations fail the test. Skips the test, with the reason, where the machine does not allow it. The
// process must have one thread.
void in_private_mounts(const std::function<void()>& body);

// A tmpfs of that size on the folder, which is made if missing; what was there is hidden. Again: its new size.
void limit_folder(const std::string& folder, size_t kibibytes);

// Takes all the room that is left in the folder's file system but about `kibibytes`.
class Filler {
 public:
  Filler(const std::string& folder, size_t kibibytes_left);
  ~Filler();
  Filler(const Filler&) = delete;
  Filler& operator=(const Filler&) = delete;

 private:
  std::string path_;
};

}  // namespace adyton::faults
