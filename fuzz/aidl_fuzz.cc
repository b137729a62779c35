// An .aidl file that somebody hands to the compiler: bytes as they come, and as choices of tokens, which get past the lexer.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "rpc/aidl/dump.h"
#include "rpc/aidl/output.h"
#include "rpc/aidl/program.h"

namespace {

using namespace adyton::aidl;

constexpr std::array<std::string_view, 96> kTokens = {
    ";", ";", ";", "{", "}", "(", ")", "[", "]", "<", ">", ",", ".", "=", "=", "+", "-", "*", "/", "%", "&", "|", "^", "!", "~", "&&", "||", "<<", "<=", ">=",
    "==", "!=", "interface", "parcelable", "union", "enum", "const", "oneway", "in", "out", "inout", "import", "package", "true", "false", "void", "boolean",
    "byte", "char", "int", "int", "long", "float", "double", "String", "IBinder", "List", "Map", "ParcelFileDescriptor", "ParcelableHolder", "A", "A", "B", "B",
    "C", "D", "P", "IFoo", "E", "Tag", "P.A", "a.b.C", "cpp_header", "0", "1", "2", "3", "127", "0xff", "0x80000000", "9223372036854775807", "1.5", "1.5f", "'a'",
    "\"text\"", "\"*/\"", "@nullable", "@nullable(heap=true)", "@utf8InCpp", "@Backing(type=\"int\")", "@FixedSize", "@Descriptor(\"x\")", "@SuppressWarnings(",
    "@Hide", "/** @deprecated x */", "// line\n"};

// Whole members, so that bodies get somewhere.
constexpr std::array<std::string_view, 16> kPhrases = {
    "parcelable P {", "interface IFoo {", "union U { int a; String b;", "enum E { A, B = 2,", "@Backing(type=\"long\") enum L { X = 1 << 40 }", "int a = ",
    "const int A = ", "const String S = \"s\" + ", "void f(in int[] a, ", "P[2][3] q;", "U.Tag t = U.Tag.", "@nullable(heap=true) P p;", "List<String> l = {\"a\"};",
    "int[A] n;", "oneway void g() = ", "parcelable G<T, V> {}"};

std::string text_from(adyton::fuzz::FuzzInput input) {
  std::string text;
  while (!input.empty()) {
    const size_t choice = input.below(kTokens.size() + kPhrases.size());
    text += choice < kTokens.size() ? kTokens[choice] : kPhrases[choice - kTokens.size()];
    text += ' ';
  }
  return text;
}

bool compile(Program& program, const std::string& text, Language language) {
  return program.load({"P.aidl"}, MemoryReader({{"P.aidl", text}}), {.language = language});
}

void check(const std::string& text) {
  WarningPolicy policy;
  adyton::fuzz::require(policy.apply("all"));
  Diagnostics diagnostics(policy);
  Program program(diagnostics);
  const bool ok = compile(program, text, text.size() % 2 ? Language::kNone : Language::kCpp);
  adyton::fuzz::require(ok == (diagnostics.errors() == 0));
  adyton::fuzz::require(ok || !diagnostics.to_string().empty());
  if (!ok) return;
  // What is right is still right after a dump, and says the same.
  const Document& document = *program.documents().front();
  [[maybe_unused]] const std::string map = method_map({&document}, {});
  if (document.declarations.size() != 1) return;
  const std::string dump = dump_file(*document.declarations.front());
  Diagnostics again;
  Program dumped(again);
  adyton::fuzz::require(compile(dumped, dump, Language::kNone));
  adyton::fuzz::require(dump_file(*dumped.documents().front()->declarations.front()) == dump);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  check(std::string(reinterpret_cast<const char*>(data), size));
  check(text_from({data, size}));
  check("parcelable P { " + text_from({data, size}) + "}");
  return 0;
}
