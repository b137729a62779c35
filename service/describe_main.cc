// A program of the build: writes adytond's man page and completion scripts into a folder.
#include <cstdio>

#include "base/usage/program_usage.h"
#include "service/settings.h"

int main(int argc, char** argv) {
  using namespace adyton;
  if (argc != 2) {
    std::fputs("usage: adytond-describe FOLDER\n", stderr);
    return 2;
  }
  const auto written = usage::write_files(service::describe_options(), argv[1]);
  if (!written) std::fprintf(stderr, "adytond-describe: %s\n", written.error().message.c_str());
  return written ? 0 : 1;
}
