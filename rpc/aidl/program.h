// A run of the compiler: the files named, what they import, and everything the language asks of them together.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "rpc/aidl/ast.h"
#include "rpc/aidl/diagnostics.h"
#include "rpc/aidl/source.h"

namespace adyton::aidl {

// Where files come from: the disk, or a test's map.
class FileReader {
 public:
  virtual ~FileReader() = default;
  [[nodiscard]] virtual bool exists(const std::string& path) const = 0;
  // Of no more than kMaxFileSize bytes.
  virtual Result<std::string> read(const std::string& path) const = 0;
  // `path` from the root, where there is one.
  [[nodiscard]] virtual std::string absolute(const std::string& path) const { return path; }
};

class DiskReader final : public FileReader {
 public:
  [[nodiscard]] bool exists(const std::string& path) const override;
  Result<std::string> read(const std::string& path) const override;
  [[nodiscard]] std::string absolute(const std::string& path) const override;
};

class MemoryReader final : public FileReader {
 public:
  explicit MemoryReader(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  [[nodiscard]] bool exists(const std::string& path) const override { return files_.contains(path); }
  Result<std::string> read(const std::string& path) const override;

 private:
  std::map<std::string, std::string> files_;
};

enum class Language : uint8_t { kNone, kCpp, kNdk };

struct ProgramOptions {
  std::vector<std::string> include_dirs;  // -I, in order
  Language language = Language::kNone;    // what the back end cannot express is an error too
  bool structured = false;                // refuse what is not stable: unstructured parcelables, Map, untyped List
  bool no_unstructured = false;           // -b: refuse inputs that only name a class written elsewhere
  bool vintf = false;                     // --stability=vintf: every declaration must be @VintfStability
};

class Program {
 public:
  // `diagnostics` outlives the program and points into it.
  explicit Program(Diagnostics& diagnostics);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Reads, parses and checks `inputs` and everything they import. False when an error has been reported. Call it once.
  bool load(const std::vector<std::string>& inputs, const FileReader& reader, const ProgramOptions& options);

  // All files of the run, inputs first, in the order named.
  [[nodiscard]] const std::vector<std::unique_ptr<Document>>& documents() const { return documents_; }
  // The files that `document` reads, directly or through others, for a dependency file; sorted, without itself.
  [[nodiscard]] std::vector<std::string> dependencies(const Document& document) const;
  // By qualified name, "com.example.IFoo.Nested" or "com.example.AUnion.Tag"; null when there is none.
  [[nodiscard]] Declaration* find(const std::string& qualified_name) const;

 private:
  friend class Loader;

  Diagnostics& diagnostics_;
  std::vector<std::unique_ptr<SourceFile>> files_;
  std::vector<std::unique_ptr<Document>> documents_;
  std::unordered_map<std::string, Declaration*> declarations_;
  std::unordered_map<const Document*, std::vector<const Document*>> uses_;
};

}  // namespace adyton::aidl
