// A back end turns a checked document into source files.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rpc/aidl/ast.h"

namespace adyton::aidl {

// What the command line says about the files of a run, as far as generated code depends on it.
struct BackendOptions {
  std::optional<uint32_t> version;  // --version: 1 or more. Given: interfaces answer getInterfaceVersion()
  std::string hash;                 // --hash: "" when not given, "notfrozen" is a usual value. Given (with version): getInterfaceHash()
  bool structured = false;          // --structured
  bool vintf = false;               // --stability=vintf
  bool omit_invocation = false;     // --omit_invocation: no command line in the head of generated files
  std::string invocation;           // the command line, for that head
};

struct OutputFile {
  std::string path;  // relative: "com/example/IFoo.h", "aidl/com/example/BnFoo.h"
  bool header = false;  // goes under -h DIR (else -o DIR)
  std::string text;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // "cpp", "ndk": what --lang takes.
  [[nodiscard]] virtual std::string_view language() const = 0;
  // The files for every declaration of `document`, the same set of paths for the same declarations' names whatever is in them (dependency
  // files and build systems rely on it). The document has passed every check of the front end, those for this language too
  // (language_check.h): there is nothing left that a back end could not express.
  virtual Result<std::vector<OutputFile>> generate(const Document& document, const BackendOptions& options) const = 0;
};

std::unique_ptr<Backend> make_cpp_backend();  // rpc/aidl/cpp
std::unique_ptr<Backend> make_ndk_backend();  // rpc/aidl/ndk

}  // namespace adyton::aidl
