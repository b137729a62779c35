// Turns a program on the host into a cpio archive with everything that it needs to start in the guest.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "guest/image/files.h"

namespace adyton::image {

struct PayloadOptions {
  // Where shared libraries and the program interpreter are looked for, after the payload's own RUNPATH. Default: default_library_directories().
  std::vector<std::string> library_directories;
  // The launcher (guest/launcher), for payloads that are shared libraries; empty: there is none, and they are refused.
  std::string launcher;
};

struct PayloadArchive {
  Bytes cpio;                          // to be appended to the base initramfs
  std::string program;                 // where the payload is in the guest: "/payload/NAME"
  bool is_library = false;             // guest::kLauncherPath is to be executed, with `program` as its first argument
  std::vector<std::string> libraries;  // which files of the host went with it
};

// Fails with a sentence that begins with the path as given. payload_exit_code() says which exit code belongs to it.
Result<PayloadArchive> build_payload(const std::string& path, const PayloadOptions& options = {});

// 127 when the payload does not exist, 126 when it is no program that the guest can execute, 125 for an error that is not the payload's.
int payload_exit_code(const Error& error);

// Debian's cross toolchain for arm64 (libc6-arm64-cross and its like), and the multiarch directories.
std::vector<std::string> default_library_directories();

}  // namespace adyton::image
