// A program of the build: writes aidlc's man page and completion scripts into a folder.
#include <cstdio>

#include "base/usage/program_usage.h"
#include "rpc/aidl/options.h"

int main(int argc, char** argv) {
  using namespace adyton;
  if (argc != 2) {
    std::fputs("usage: aidlc-describe FOLDER\n", stderr);
    return 2;
  }
  const auto written = usage::write_files(aidl::describe_command_line(), argv[1]);
  if (!written) std::fprintf(stderr, "aidlc-describe: %s\n", written.error().message.c_str());
  return written ? 0 : 1;
}
