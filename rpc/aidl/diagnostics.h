// What the compiler has to say about a file, for people and editors:
//
//   com/example/IFoo.aidl:12:18: error: 'Baz' is not the name of a type
//       void set(in Baz value);
//                   ^~~
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rpc/aidl/source.h"

namespace adyton::aidl {

enum class Severity : uint8_t { kNote, kWarning, kError };

// Warnings that can be told apart: -Wname, -Wno-name, -Werror=name, @SuppressWarnings(value={"name"}).
enum class Warning : uint8_t {
  kConstName,          // const-name: constants and enumerators are not UPPER_CASE
  kEnumExplicitDefault,// enum-explicit-default: an enum field without default where 0 is no enumerator
  kFileDescriptor,     // file-descriptor: ParcelFileDescriptor is better
  kInoutParameter,     // inout-parameter
  kInterfaceName,      // interface-name: does not begin with I and an upper-case letter
  kMixedOneway,        // mixed-oneway: some methods are oneway, others are not
  kOutArray,           // out-array: a dynamic array that the callee fills
  kOutNullable,        // out-nullable: an out argument that may be null
  kRedundantName,      // redundant-name: an enumerator begins with its enum's name
  kRedundantOneway,    // redundant-oneway: a method says what its interface says
  kUniqueImport,       // unique-import: the same import twice
  kUniqueMethodNames,  // unique-method-names: names that differ only in case
  kUnusedImport,       // unused-import
  kUntypedCollection,  // untyped-collection: List and Map without arguments
  kUnknownWarning,     // unknown-warning: @SuppressWarnings of a name that is none of these
};
inline constexpr size_t kWarningCount = 15;
[[nodiscard]] std::string_view warning_name(Warning warning);
[[nodiscard]] std::optional<Warning> find_warning(std::string_view name);

struct Diagnostic {
  Severity severity = Severity::kError;
  std::string message;  // for a warning with its name behind it: "... [-Wmixed-oneway]"
  Location location;
};

// How warnings are treated: -Wall, -w, -Werror and the named ones, applied in the order of the command line.
class WarningPolicy {
 public:
  // The default: unique-method-names and unknown-warning, which point at mistakes; matters of taste need -Wall or their name.
  WarningPolicy();
  // "all" ("everything"), "error", "no-error", "NAME", "no-NAME", "error=NAME", "no-error=NAME": what stands behind -W. False for anything else.
  [[nodiscard]] bool apply(std::string_view option);
  void disable_all();  // -w
  [[nodiscard]] bool enabled(Warning warning) const { return enabled_[static_cast<size_t>(warning)]; }
  [[nodiscard]] bool is_error(Warning warning) const { return error_[static_cast<size_t>(warning)]; }

 private:
  bool enabled_[kWarningCount] = {};
  bool error_[kWarningCount] = {};
};

class Diagnostics {
 public:
  // Past that many errors the rest is counted, not kept.
  static constexpr size_t kMaxErrors = 100;

  explicit Diagnostics(WarningPolicy policy = {}) : policy_(policy) {}

  void error(const Location& location, std::string message);
  void warning(Warning which, const Location& location, std::string message);
  // Belongs to the error or warning before it, and vanishes with it.
  void note(const Location& location, std::string message);

  [[nodiscard]] size_t errors() const { return errors_; }
  [[nodiscard]] const std::vector<Diagnostic>& list() const { return list_; }
  // All of them as text, each with its line and a caret.
  [[nodiscard]] std::string to_string() const;

 private:
  WarningPolicy policy_;
  std::vector<Diagnostic> list_;
  size_t errors_ = 0;
  size_t warnings_ = 0;
  bool last_kept_ = false;
};

// One diagnostic as text, ending in a newline.
[[nodiscard]] std::string format_diagnostic(const Diagnostic& diagnostic);

}  // namespace adyton::aidl
