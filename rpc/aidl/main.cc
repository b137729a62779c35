// aidlc: the AIDL compiler.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "rpc/aidl/backend.h"
#include "rpc/aidl/driver.h"
#include "rpc/aidl/options.h"

int main(int argc, char** argv) {
  using namespace adyton::aidl;
  const auto command = parse_command_line({argv, argv + argc});
  if (!command) {
    std::fprintf(stderr, "aidlc: %s\n", command.error().message.c_str());
    return 2;
  }
  if (const auto* print = std::get_if<PrintText>(&*command)) {
    std::fputs(print->text.c_str(), stdout);
    return 0;
  }
  std::vector<std::unique_ptr<Backend>> backends;
#ifdef ADYTON_AIDL_CPP
  backends.push_back(make_cpp_backend());
#endif
#ifdef ADYTON_AIDL_NDK
  backends.push_back(make_ndk_backend());
#endif
  std::string diagnostics;
  const auto ok = run(*command, backends, diagnostics);
  std::fputs(diagnostics.c_str(), stderr);
  if (!ok) std::fprintf(stderr, "aidlc: %s\n", ok.error().message.c_str());
  return ok && *ok ? 0 : 1;
}
