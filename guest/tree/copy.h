// Sends files and folders as a stream and makes them from one, with the habits of `docker cp`. The same code at both ends of
// `adyton cp`: on the host, and in the guest's init. Threading: functions that block until the stream ends; any thread.
#pragma once
#include <functional>
#include <string>

#include "base/result.h"

namespace adyton::tree {

// Told of what is left out, one sentence each.
using Warn = std::function<void(const std::string& message)>;

// What a path of the user asks for: "folder/." is what is in it, not the folder itself.
struct Source {
  std::string path;  // to be opened
  std::string name;  // what it is called at the other end, if that is a folder
  bool contents_only = false;
};
Source parse_source(const std::string& path);

// Sends what is at `path`: a file, or a folder with all in it. Symbolic links are sent as such; `follow_link` is for `path`
// itself. Sockets, pipes and devices are left out. Holes stay holes.
Result<void> send_tree(const std::string& path, bool follow_link, int out, const Warn& warn);
// Sends an open file, which can be sought, as send_tree() sends one.
Result<void> send_file(int file, uint32_t mode, int out);

struct Target {
  std::string path;            // a folder that is there: the copy goes into it as `name`, or is merged with it (contents_only)
  std::string name;            // of Source; not a path
  bool contents_only = false;  // of Source
  uint32_t mode_mask = 0777;   // which permission bits are taken over
};
// Makes what send_tree() sent. Whatever the stream says, nothing outside of the target is touched: names with ".." are refused,
// and no symbolic link in a folder that is the target, or below, is followed. Fails at the first thing that cannot be made.
Result<void> receive_tree(int in, const Target& target);
// Writes the bytes of the one file in the stream.
Result<void> receive_file(int in, int out);

}  // namespace adyton::tree
