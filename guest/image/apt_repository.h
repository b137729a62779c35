// Fetches packages of a Debian suite and architecture with apt, from the mirror that this machine already uses, through a private
// package state: no root, and neither apt's configuration nor its lists nor dpkg's database on this machine are touched.
#pragma once
#include <string>

#include "base/result.h"
#include "guest/image/progress.h"

namespace adyton::image {

struct Repository {
  std::string suite = "bookworm";
  std::string architecture = "arm64";
  std::string component = "main";
};

class AptRepository {
 public:
  // Fetches the suite's package lists into `directory`, which the caller makes and removes. Signatures are checked against the
  // Debian archive's keyring. The mirror: $ADYTON_DEBIAN_MIRROR, or the first one in apt's sources. kInvalidArgument: the mirror has no such suite.
  static Result<AptRepository> open(std::string directory, const Repository& repository, const Progress& progress);

  // A field ("Depends") of the newest version of `package`; kNotFound without such a package or field.
  Result<std::string> field(const std::string& package, const std::string& name) const;

  // Downloads `package` into the directory; returns the path of the .deb.
  Result<std::string> download(const std::string& package) const;

 private:
  explicit AptRepository(std::string directory) : directory_(std::move(directory)) {}
  std::string directory_;
};

// The URI of this machine's Debian mirror.
Result<std::string> debian_mirror();

}  // namespace adyton::image
