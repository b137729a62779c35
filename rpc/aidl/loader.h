// Finds and parses the files of a run. A name that no file read so far declares is looked for under the import roots, as
// com/example/IFoo.aidl for com.example.IFoo, which is how imports, names in the same package and qualified names are found.
#pragma once
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "rpc/aidl/program.h"

namespace adyton::aidl {

class Loader {
 public:
  Loader(Program& program, Diagnostics& diagnostics, const FileReader& reader, const ProgramOptions& options);

  void load_inputs(const std::vector<std::string>& paths);
  // The declaration with that qualified name, from a file that may have to be read first; null when there is none. `user` is the
  // document that asks.
  Declaration* find(const Document& user, const std::string& qualified_name);
  // The same among what has been read so far.
  Declaration* find_declared(const std::string& qualified_name);

 private:
  Document* load(const std::string& path, bool is_input);
  void declare(Document& document);
  void declare(Declaration& declaration);
  void check_path(const Document& document);

  Program& program_;
  Diagnostics& diagnostics_;
  const FileReader& reader_;
  std::vector<std::string> roots_;
  std::unordered_map<std::string, Document*> by_path_;
  std::unordered_set<std::string> not_found_;  // qualified names for which every root has been asked
};

}  // namespace adyton::aidl
