#include <algorithm>

#include "engine/fp/unpacked.h"

namespace adyton::engine::fp {

namespace {

// An exact zero that came of non-zero operands, or of zeros with different signs.
template <class T>
T cancelled_zero(const FpContext& fp) {
  return zero<T>(fp.rounding() == Rounding::kMinusInfinity);
}

template <class T>
T round_or_zero(FpContext& fp, const Real& value) {
  return value.significand == 0 ? cancelled_zero<T>(fp) : round<T>(fp, value, fp.rounding());
}

template <class T>
T add_or_subtract(FpContext& fp, T a, T b, bool subtracts) {
  const Unpacked ua = unpack(fp, a);
  Unpacked ub = unpack(fp, b);
  T result;
  if (propagate_nans(fp, ua, ub, a, b, result)) return result;
  ub.sign ^= subtracts;
  if (ua.is_infinity() && ub.is_infinity() && ua.sign != ub.sign) return invalid<T>(fp);
  if (ua.is_infinity() || ub.is_infinity()) return infinity<T>(ua.is_infinity() ? ua.sign : ub.sign);
  if (ua.is_zero() && ub.is_zero() && ua.sign == ub.sign) return zero<T>(ua.sign);
  return round_or_zero<T>(fp, sum(to_real(ua), to_real(ub)));
}

bool zero_times_infinity(const Unpacked& a, const Unpacked& b) {
  return (a.is_zero() && b.is_infinity()) || (a.is_infinity() && b.is_zero());
}

template <class T>
T multiply_with(FpContext& fp, T a, T b, bool extended) {
  const Unpacked ua = unpack(fp, a), ub = unpack(fp, b);
  T result;
  if (propagate_nans(fp, ua, ub, a, b, result)) return result;
  const bool sign = ua.sign != ub.sign;
  if (zero_times_infinity(ua, ub)) return extended ? two<T>(sign) : invalid<T>(fp);
  if (ua.is_infinity() || ub.is_infinity()) return infinity<T>(sign);
  if (ua.is_zero() || ub.is_zero()) return zero<T>(sign);
  return round<T>(fp, product(ua, ub), fp.rounding());
}

// -1, 0, 1; both are numbers
int order(const Unpacked& a, const Unpacked& b) {
  if (a.is_zero() && b.is_zero()) return 0;
  // A key that orders magnitudes: zero < finite < infinity; a finite one by its highest bit, then by its aligned bits.
  const auto magnitude = [](const Unpacked& x, const Unpacked& y) {
    if (x.kind != y.kind) return x.kind < y.kind ? -1 : 1;
    if (x.kind != Kind::kFinite) return 0;
    const int zx = std::countl_zero(x.significand), zy = std::countl_zero(y.significand);
    if (x.exponent - zx != y.exponent - zy) return x.exponent - zx < y.exponent - zy ? -1 : 1;
    const uint64_t sx = x.significand << zx, sy = y.significand << zy;
    return sx < sy ? -1 : sx > sy ? 1 : 0;
  };
  if (a.sign != b.sign) return a.sign ? -1 : 1;
  return a.sign ? -magnitude(a, b) : magnitude(a, b);
}

template <class T>
T extremum(FpContext& fp, T a, T b, bool want_maximum) {
  const Unpacked ua = unpack(fp, a), ub = unpack(fp, b);
  T result;
  if (propagate_nans(fp, ua, ub, a, b, result)) return result;
  if (ua.is_zero() && ub.is_zero()) return zero<T>(want_maximum ? (ua.sign && ub.sign) : (ua.sign || ub.sign));
  const bool take_a = (order(ua, ub) > 0) == want_maximum;
  if ((take_a ? ua : ub).is_zero()) return zero<T>((take_a ? ua : ub).sign);  // perhaps a flushed one
  return take_a ? a : b;
}

template <class T>
T extremum_number(FpContext& fp, T a, T b, bool want_maximum) {
  const Unpacked ua = unpack(fp, a), ub = unpack(fp, b);
  const bool quiet_a = ua.kind == Kind::kQuietNan, quiet_b = ub.kind == Kind::kQuietNan;
  if (quiet_a && !quiet_b) a = infinity<T>(want_maximum);
  if (quiet_b && !quiet_a) b = infinity<T>(want_maximum);
  return extremum(fp, a, b, want_maximum);
}

Uint128 integer_square_root(Uint128 n, bool& exact) {
  Uint128 root = 0, rest = n;
  for (Uint128 bit = Uint128{1} << 126; bit != 0; bit >>= 2) {
    if (rest >= root + bit) {
      rest -= root + bit;
      root = (root >> 1) + bit;
    } else {
      root >>= 1;
    }
  }
  exact = rest == 0;
  return root;
}

// constant + (-a) * b with the special cases of the step instructions; `halve` divides the sum by two.
template <class T>
T step(FpContext& fp, T a, T b, uint64_t constant, T zero_times_infinity_result, bool halve) {
  a = negate(a);
  const Unpacked ua = unpack(fp, a), ub = unpack(fp, b);
  T result;
  if (propagate_nans(fp, ua, ub, a, b, result)) return result;
  if (zero_times_infinity(ua, ub)) return zero_times_infinity_result;
  if (ua.is_infinity() || ub.is_infinity()) return infinity<T>(ua.sign != ub.sign);
  Real value = sum({false, 0, constant}, product(ua, ub));
  if (halve) --value.exponent;
  return round_or_zero<T>(fp, value);
}

}  // namespace

template <class T>
T add(FpContext& fp, T a, T b) {
  return add_or_subtract(fp, a, b, false);
}
template <class T>
T subtract(FpContext& fp, T a, T b) {
  return add_or_subtract(fp, a, b, true);
}
template <class T>
T multiply(FpContext& fp, T a, T b) {
  return multiply_with(fp, a, b, false);
}
template <class T>
T multiply_extended(FpContext& fp, T a, T b) {
  return multiply_with(fp, a, b, true);
}
template <class T>
T maximum(FpContext& fp, T a, T b) {
  return extremum(fp, a, b, true);
}
template <class T>
T minimum(FpContext& fp, T a, T b) {
  return extremum(fp, a, b, false);
}
template <class T>
T maximum_number(FpContext& fp, T a, T b) {
  return extremum_number(fp, a, b, true);
}
template <class T>
T minimum_number(FpContext& fp, T a, T b) {
  return extremum_number(fp, a, b, false);
}
template <class T>
T reciprocal_step(FpContext& fp, T a, T b) {
  return step(fp, a, b, 2, two<T>(false), false);
}
template <class T>
T reciprocal_sqrt_step(FpContext& fp, T a, T b) {
  return step(fp, a, b, 3, one_point_five<T>(), true);
}

template <class T>
T divide(FpContext& fp, T a, T b) {
  const Unpacked ua = unpack(fp, a), ub = unpack(fp, b);
  T result;
  if (propagate_nans(fp, ua, ub, a, b, result)) return result;
  const bool sign = ua.sign != ub.sign;
  if ((ua.is_infinity() && ub.is_infinity()) || (ua.is_zero() && ub.is_zero())) return invalid<T>(fp);
  if (ua.is_infinity() || ub.is_zero()) {
    if (!ua.is_infinity()) fp.fpsr |= kFpsrDzc;
    return infinity<T>(sign);
  }
  if (ua.is_zero() || ub.is_infinity()) return zero<T>(sign);
  // With the dividend's highest bit at 127 the quotient has at least 127 - 53 bits.
  const int shift = 64 + std::countl_zero(ua.significand);
  const Uint128 dividend = static_cast<Uint128>(ua.significand) << shift;
  const Uint128 quotient = dividend / ub.significand;
  const bool sticky = quotient * ub.significand != dividend;
  return round<T>(fp, {sign, ua.exponent - shift - ub.exponent, quotient | sticky}, fp.rounding());
}

template <class T>
T square_root(FpContext& fp, T a) {
  const Unpacked ua = unpack(fp, a);
  if (ua.nan()) return propagate_nan(fp, ua, a);
  if (ua.is_zero()) return zero<T>(ua.sign);
  if (ua.sign) return invalid<T>(fp);
  if (ua.is_infinity()) return infinity<T>(false);
  int shift = 62 + std::countl_zero(ua.significand);  // highest bit at 125
  if ((ua.exponent - shift) & 1) ++shift;
  bool exact;
  const Uint128 root = integer_square_root(static_cast<Uint128>(ua.significand) << shift, exact);
  return round<T>(fp, {false, (ua.exponent - shift) / 2, root | !exact}, fp.rounding());
}

template <class T>
T multiply_add(FpContext& fp, T addend, T a, T b) {
  const Unpacked uc = unpack(fp, addend), ua = unpack(fp, a), ub = unpack(fp, b);
  const bool invalid_product = zero_times_infinity(ua, ub);
  if (uc.nan() || ua.nan() || ub.nan()) {
    if (uc.kind == Kind::kQuietNan && invalid_product) return invalid<T>(fp);
    // FPProcessNaNs3: the addend comes first.
    if (uc.kind == Kind::kSignallingNan) return propagate_nan(fp, uc, addend);
    T result{};
    if (ua.kind != Kind::kSignallingNan && ub.kind != Kind::kSignallingNan && uc.nan()) return propagate_nan(fp, uc, addend);
    propagate_nans(fp, ua, ub, a, b, result);
    return result;
  }
  const bool product_sign = ua.sign != ub.sign;
  const bool product_infinite = ua.is_infinity() || ub.is_infinity(), product_zero = ua.is_zero() || ub.is_zero();
  if (invalid_product || (uc.is_infinity() && product_infinite && uc.sign != product_sign)) return invalid<T>(fp);
  if (uc.is_infinity()) return infinity<T>(uc.sign);
  if (product_infinite) return infinity<T>(product_sign);
  if (uc.is_zero() && product_zero && uc.sign == product_sign) return zero<T>(uc.sign);
  return round_or_zero<T>(fp, sum(to_real(uc), product(ua, ub)));
}

template <class T>
uint32_t compare(FpContext& fp, T a, T b, bool signal_all_nans) {
  const Unpacked ua = unpack(fp, a), ub = unpack(fp, b);
  if (ua.nan() || ub.nan()) {
    if (signal_all_nans || ua.kind == Kind::kSignallingNan || ub.kind == Kind::kSignallingNan) fp.fpsr |= kFpsrIoc;
    return 0b0011;
  }
  const int result = order(ua, ub);
  return result == 0 ? 0b0110 : result < 0 ? 0b1000 : 0b0010;
}

template <class T>
bool compare_equal(FpContext& fp, T a, T b) {
  return compare(fp, a, b, false) == 0b0110;
}
template <class T>
bool compare_greater_equal(FpContext& fp, T a, T b) {
  const uint32_t nzcv = compare(fp, a, b, true);
  return nzcv == 0b0110 || nzcv == 0b0010;
}
template <class T>
bool compare_greater(FpContext& fp, T a, T b) {
  return compare(fp, a, b, true) == 0b0010;
}

#define ADYTON_INSTANTIATE(T)                               \
  template T add<T>(FpContext&, T, T);                      \
  template T subtract<T>(FpContext&, T, T);                 \
  template T multiply<T>(FpContext&, T, T);                 \
  template T multiply_extended<T>(FpContext&, T, T);        \
  template T divide<T>(FpContext&, T, T);                   \
  template T square_root<T>(FpContext&, T);                 \
  template T multiply_add<T>(FpContext&, T, T, T);          \
  template T maximum<T>(FpContext&, T, T);                  \
  template T minimum<T>(FpContext&, T, T);                  \
  template T maximum_number<T>(FpContext&, T, T);           \
  template T minimum_number<T>(FpContext&, T, T);           \
  template T reciprocal_step<T>(FpContext&, T, T);          \
  template T reciprocal_sqrt_step<T>(FpContext&, T, T);     \
  template uint32_t compare<T>(FpContext&, T, T, bool);     \
  template bool compare_equal<T>(FpContext&, T, T);         \
  template bool compare_greater_equal<T>(FpContext&, T, T); \
  template bool compare_greater<T>(FpContext&, T, T);
ADYTON_INSTANTIATE(uint32_t)
ADYTON_INSTANTIATE(uint64_t)
#undef ADYTON_INSTANTIATE

}  // namespace adyton::engine::fp
