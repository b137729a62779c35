// SHA-256, for names of cached artifacts.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace adyton::image {

// Hashes a sequence of fields; each is preceded by its length, so that ("ab", "c") and ("a", "bc") differ.
class Fingerprint {
 public:
  Fingerprint();
  ~Fingerprint();
  Fingerprint(Fingerprint&&) noexcept;
  Fingerprint& operator=(Fingerprint&&) noexcept;

  void add(std::span<const uint8_t> bytes);
  void add(std::string_view text) { add(std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size())); }
  void add(uint64_t number);

  // Lower-case hexadecimal. The object takes no further fields.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace adyton::image
