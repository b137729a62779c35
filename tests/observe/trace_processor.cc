// Asks Perfetto's own trace processor about a trace, in SQL:
//
//   trace_processor LIBRARY TRACE QUERY...
//
// prints the rows of each query, values with a | between them, under their names. LIBRARY is libtest_trace_processor.so of
// Debian's chromium-shell: the trace processor behind ui.perfetto.dev, as Chromium's tests use it
// (base/test/test_trace_processor_impl.h). Its interface is C++ of libc++, which this program is not built with; so the few types
// that cross are laid out by hand, and asked first whether they are right. Exit code 77: this LIBRARY is another one; 1: it could
// not read the trace, or a query.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kAnotherLibrary = 77;

// libc++'s, ABI version 1, on a little-endian machine (its include/string and include/vector).
class String {
 public:
  explicit String(std::string_view text) : long_{(text.size() + 1) | 1, text.size(), text.data()} {}
  [[nodiscard]] std::string_view view() const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(this);
    if ((bytes[0] & 1) != 0) return {long_.text, long_.size};
    return {reinterpret_cast<const char*>(bytes) + 1, static_cast<size_t>(bytes[0] >> 1)};
  }

 private:
  struct {
    size_t capacity, size;
    const char* text;
  } long_;
};
template <typename T>
struct Vector {
  T *first, *last, *capacity_end;
  [[nodiscard]] T* begin() const { return first; }
  [[nodiscard]] T* end() const { return last; }
};

// Types that are not trivial, so that functions return them in memory, as those of the library do. The library's destructor is
// left uncalled: this is a short life.
struct Result {  // base::test::QueryResultOrError
  Vector<Vector<String>> rows;
  String error;
  ~Result() {}  // NOLINT(modernize-use-equals-default): not trivial
};
struct Status {  // absl::Status
  static constexpr uintptr_t kOk = 1;
  uintptr_t value;
  ~Status() {}  // NOLINT(modernize-use-equals-default): not trivial
};
struct alignas(16) Processor {  // base::test::TestTraceProcessorImpl
  unsigned char bytes[256];
};

struct Library {
  void (*construct)(Processor*) = nullptr;
  Status (*parse)(Processor*, const Vector<char>*) = nullptr;
  Result (*query)(const Processor*, const String*) = nullptr;

  bool open(const char* path) {
    void* const library = ::dlopen(path, RTLD_NOW);
    if (library == nullptr) return false;
    construct = reinterpret_cast<decltype(construct)>(::dlsym(library, "_ZN4base4test22TestTraceProcessorImplC1Ev"));
    parse = reinterpret_cast<decltype(parse)>(
        ::dlsym(library, "_ZN4base4test22TestTraceProcessorImpl10ParseTraceERKNSt3__16vectorIcNS2_9allocatorIcEEEE"));
    query = reinterpret_cast<decltype(query)>(::dlsym(library,
                                                      "_ZNK4base4test22TestTraceProcessorImpl12ExecuteQueryERKNSt3__112basic_"
                                                      "stringIcNS2_11char_traitsIcEENS2_9allocatorIcEEEE"));
    return construct != nullptr && parse != nullptr && query != nullptr;
  }
};

bool read(const Library& library, Processor& processor, std::string trace) {
  library.construct(&processor);
  const Vector<char> bytes{trace.data(), trace.data() + trace.size(), trace.data() + trace.size()};
  return library.parse(&processor, &bytes).value == Status::kOk;
}

// Whether strings, short and long, and rows of them are where they are believed to be. In a process of its own: it may end badly.
bool is_known(const Library& library) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(STDERR_FILENO);
    Processor processor{};
    if (!read(library, processor, R"({"traceEvents":[]})")) ::_exit(1);
    const Result result = library.query(
        &processor, new String("select 'one' as a, 'a text that is too long to be kept in place' as b union all select 2, null"));
    std::string seen(result.error.view());
    for (const Vector<String>& row : result.rows) {
      for (const String& value : row) seen.append(value.view()).append("|");
    }
    ::_exit(seen == "a|b|one|a text that is too long to be kept in place|2|[NULL]|" ? 0 : 1);
  }
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  Library library;
  if (argc < 3 || !library.open(argv[1]) || !is_known(library)) {
    std::fprintf(stderr, "%s is no trace processor that this program knows\n", argc < 2 ? "nothing" : argv[1]);
    return kAnotherLibrary;
  }
  std::ifstream file(argv[2], std::ios::binary);
  Processor processor{};
  if (!file || !read(library, processor, {std::istreambuf_iterator<char>(file), {}})) {
    std::fprintf(stderr, "%s cannot be read\n", argv[2]);
    return 1;
  }
  for (int i = 3; i < argc; ++i) {
    const String text(argv[i]);
    const Result result = library.query(&processor, &text);
    if (const auto error = result.error.view(); !error.empty()) {
      std::fprintf(stderr, "%s\n%.*s\n", argv[i], static_cast<int>(error.size()), error.data());
      return 1;
    }
    for (const Vector<String>& row : result.rows) {
      for (const String* value = row.begin(); value != row.end(); ++value) {
        if (value != row.begin()) std::putchar('|');
        std::fwrite(value->view().data(), 1, value->view().size(), stdout);
      }
      std::putchar('\n');
    }
  }
  std::fflush(stdout);
  ::_exit(0);  // not through the library's destructors
}
