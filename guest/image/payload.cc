#include "guest/image/payload.h"

#include <elf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <filesystem>
#include <set>

#include "guest/exec_protocol.h"
#include "guest/image/cpio_writer.h"
#include "guest/image/elf_file.h"
#include "guest/init/launcher.h"

namespace adyton::image {
namespace {

namespace fs = std::filesystem;

// One of glibc's default directories on Debian arm64 (ld.so(8)); musl finds /lib only, see guest_path().
constexpr char kGuestLibraryDirectory[] = "/lib/aarch64-linux-gnu/";

// Loaded by dlopen(3) inside glibc (pthread_exit, pthread_cancel, backtrace), so no DT_NEEDED names it.
constexpr char kUnwinder[] = "libgcc_s.so.1";

constexpr char kEntry[] = "AVmPayload_main";

std::unexpected<Error> not_executable(const std::string& path, std::string_view why) {
  return fail(ErrorCode::kUnsupported, fmt::format("{} {}", path, why));
}

std::string describe_text(const Bytes& file) {
  if (file.size() >= 2 && file[0] == '#' && file[1] == '!') {
    const auto end = std::find(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(file.size(), 256)), '\n');
    std::string interpreter(file.begin() + 2, end);
    interpreter.erase(0, interpreter.find_first_not_of(" \t"));
    return fmt::format("is a script for {}; run it in a root file system that has that program (--rootfs)", interpreter.substr(0, interpreter.find_first_of(" \t\r")));
  }
  if (file.empty()) return "is empty, not an AArch64 program";
  return "is not an AArch64 ELF program";
}

class Builder {
 public:
  Builder(const std::string& path, const PayloadOptions& options)
      : path_(path), options_(options), directories_(options.library_directories.empty() ? default_library_directories() : options.library_directories) {}

  Result<PayloadArchive> build() {
    const Bytes program = TRY(read_payload());
    auto elf = parse_elf(program);
    if (!elf) return not_executable(path_, elf.error().message + (elf.error().code == ErrorCode::kUnsupported ? ", and the guest is AArch64" : ""));
    if (elf->type == ET_REL) return not_executable(path_, "is an object file, not a program; link it first");
    if (elf->type == ET_CORE) return not_executable(path_, "is a core dump, not a program");
    if (elf->type != ET_EXEC && elf->type != ET_DYN) return not_executable(path_, "is not an executable ELF file");
    if (is_library(*elf)) return build_library(program, *elf);
    // Last: what is wrong with the contents cannot be helped by chmod.
    if (!executable_mode_) return fail(ErrorCode::kPermission, fmt::format("{} is not executable (chmod +x {} makes it so)", path_, path_));
    result_.program = "/payload/" + std::string(fs::path(path_).filename());
    TRY(cpio_.add_file(result_.program, program, 0755));
    if (!elf->interpreter.empty()) TRY(add_dynamic_closure(*elf));
    result_.cpio = TRY(cpio_.finish());
    return std::move(result_);
  }

 private:
  // A static PIE has no interpreter either, but says what it is.
  static bool is_library(const ElfFile& elf) { return elf.type == ET_DYN && elf.interpreter.empty() && (elf.entry == 0 || !elf.is_pie); }

  Result<PayloadArchive> build_library(const Bytes& library, const ElfFile& elf) {
    const auto defines = elf_defines(library, kEntry);
    if (defines && !*defines) {
      return not_executable(path_, fmt::format("is a shared library without the entry of a payload: Failed to find entrypoint {}", kEntry));
    }
    if (options_.launcher.empty()) return not_executable(path_, "is a shared library, and there is no launcher for one");
    const Bytes launcher = TRY(read_file(options_.launcher));
    auto launcher_elf = parse_elf(launcher);
    if (!launcher_elf) return fail(ErrorCode::kCorrupt, options_.launcher + " " + launcher_elf.error().message);
    result_.is_library = true;
    result_.program = "/payload/" + std::string(fs::path(path_).filename());
    TRY(cpio_.add_file(result_.program, library, 0755));
    TRY(cpio_.add_file(guest::kLauncherPath, launcher, 0755));
    TRY(add_dynamic_closure(*launcher_elf, &elf));
    result_.cpio = TRY(cpio_.finish());
    return std::move(result_);
  }

  Result<Bytes> read_payload() {
    struct stat info {};
    if (::stat(path_.c_str(), &info) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return fail(ErrorCode::kNotFound, path_ + ": no such file");
      return fail(ErrorCode::kPermission, fail_errno(path_).error().message);
    }
    if (S_ISDIR(info.st_mode)) return not_executable(path_, "is a directory, not a program (a directory tree as root: --rootfs)");
    if (!S_ISREG(info.st_mode)) return not_executable(path_, "is not a regular file");
    auto file = read_file(path_);
    if (!file) {
      if (file.error().code == ErrorCode::kPermission) return fail(ErrorCode::kPermission, file.error().message);
      return file;
    }
    if (!is_elf(*file)) return not_executable(path_, describe_text(*file));
    executable_mode_ = (info.st_mode & 0111) != 0;
    return file;
  }

  struct Library {
    std::string name;                // as DT_NEEDED has it
    std::vector<std::string> search; // RUNPATH of the file that needs it, $ORIGIN replaced; and where a library lies
    std::string needed_by;
  };

  // `payload`: the payload where that is not the program itself.
  Result<void> add_dynamic_closure(const ElfFile& program, const ElfFile* payload = nullptr) {
    const std::string interpreter_name = fs::path(program.interpreter).filename();
    const auto interpreter = find(interpreter_name, {});
    if (!interpreter) {
      return not_executable(path_, fmt::format("needs the program interpreter {}, which is not in {}; install libc6-arm64-cross or use --rootfs",
                                               program.interpreter, fmt::join(directories_, ", ")));
    }
    if (!program.interpreter.starts_with('/')) return not_executable(path_, "has a relative program interpreter");
    TRY(cpio_.add_file(fs::path(program.interpreter).lexically_normal(), interpreter->bytes, 0755));
    result_.libraries.push_back(interpreter->path);
    // musl's interpreter is its libc, and it looks in /lib.
    const std::string directory = interpreter_name.starts_with("ld-musl") ? "/lib/" : kGuestLibraryDirectory;
    std::set<std::string> added{interpreter_name};
    std::deque<Library> queue;
    enqueue(program, payload == nullptr ? path_ : options_.launcher, /*is_library=*/false, queue);
    if (payload != nullptr) enqueue(*payload, path_, /*is_library=*/true, queue);
    queue.push_back({kUnwinder, {}, ""});
    while (!queue.empty()) {
      const Library library = std::move(queue.front());
      queue.pop_front();
      if (!added.insert(library.name).second) continue;
      const auto found = find(library.name, library.search);
      if (!found) {
        if (library.needed_by.empty()) continue;
        if (library.name.starts_with("libc.musl-")) continue;  // the interpreter serves this name
        return not_executable(path_, fmt::format("needs the library {} (for {}), which is not in {}", library.name, library.needed_by,
                                                 fmt::join(directories_, ", ")));
      }
      const std::string guest = library.name.find('/') == std::string::npos ? directory + library.name
                                                                              : std::string(("/" / fs::path(library.name)).lexically_normal());
      TRY(cpio_.add_file(guest, found->bytes, 0755));
      result_.libraries.push_back(found->path);
      enqueue(found->elf, found->path, /*is_library=*/true, queue);
    }
    return {};
  }

  // A library's own folder counts as well: those of a sysroot have no RUNPATH, as on the system that they are from they need none.
  static void enqueue(const ElfFile& elf, const std::string& path, bool is_library, std::deque<Library>& queue) {
    std::vector<std::string> search;
    for (std::string directory : elf.search_path) {
      const std::string origin = fs::absolute(path).parent_path();
      for (const char* token : {"$ORIGIN", "${ORIGIN}"}) {
        if (const size_t place = directory.find(token); place != std::string::npos) directory.replace(place, std::strlen(token), origin);
      }
      if (directory.starts_with('/')) search.push_back(std::move(directory));
    }
    if (is_library) search.push_back(fs::absolute(path).parent_path());
    for (const std::string& name : elf.needed) queue.push_back({name, search, path});
  }

  struct Found {
    std::string path;
    Bytes bytes;
    ElfFile elf;
  };

  // As ld.so does, a file that is not for this machine is passed over.
  std::optional<Found> find(const std::string& name, const std::vector<std::string>& first) const {
    std::vector<std::string> places;
    if (name.find('/') != std::string::npos) {
      places.push_back(name);
    } else {
      for (const auto* list : {&first, &directories_}) {
        for (const std::string& directory : *list) places.push_back(directory + "/" + name);
      }
    }
    for (const std::string& place : places) {
      struct stat info {};
      if (::stat(place.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
      auto bytes = read_file(place);
      if (!bytes) continue;
      auto elf = parse_elf(*bytes);
      if (elf && elf->type == ET_DYN) return Found{place, std::move(*bytes), std::move(*elf)};
    }
    return std::nullopt;
  }

  const std::string path_;
  const PayloadOptions& options_;
  std::vector<std::string> directories_;
  bool executable_mode_ = false;
  CpioWriter cpio_;
  PayloadArchive result_;
};

}  // namespace

Result<PayloadArchive> build_payload(const std::string& path, const PayloadOptions& options) { return Builder(path, options).build(); }

int payload_exit_code(const Error& error) {
  switch (error.code) {
    case ErrorCode::kNotFound: return guest::kExitNotFound;
    case ErrorCode::kUnsupported:
    case ErrorCode::kPermission: return guest::kExitNotExecutable;
    default: return guest::kExitError;
  }
}

std::vector<std::string> default_library_directories() {
  return {"/usr/aarch64-linux-gnu/lib", "/usr/local/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib/aarch64-linux-gnu"};
}

}  // namespace adyton::image
