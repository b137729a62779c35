/*
 * A licence.
 */
package com.example.all;

import com.example.all.ICallback;
import com.example.all.Record;
import org.shapes.Shape;

/**
 * Every kind of method and argument.
 * @deprecated use something smaller
 */
@SuppressWarnings(value={"mixed-oneway", "inout-parameter", "out-nullable"})
interface IEverything {
  const int VERSION = 3;
  const long MASK = 0xffL << 32;
  const byte SMALL = -128;
  const byte UNSIGNED = 0xffu8;
  const char LETTER = 'x';
  const boolean YES = !false && (VERSION > 2 || VERSION == 0);
  const float RATIO = 1.5f;
  const double BIG = -1e300;
  const String NAME = "every" + "thing";
  @utf8InCpp const String UTF8 = "utf8";
  const int[] PRIMES = {2, 3, 5, 7,};
  const String[] WORDS = {"a", "b" + "c"};
  const Kind FIRST = Kind.ONE;
  const int FLAGS = Flags.A | Flags.B;
  const int ALL_ONES = 0xffffffff;
  const int MINIMUM = -2147483648;
  const int BITS = ~0 ^ (1 << 4) & 0xff % 7 - -3;

  void nothing();
  boolean booleans(boolean a, in boolean[] b, out boolean[] c, inout boolean[] d);
  byte bytes(byte a, in byte[] b, out byte[] c, inout byte[] d);
  char chars(char a, in char[] b, out char[] c, inout char[] d);
  int ints(int a, in int[] b, out int[] c, inout int[] d);
  long longs(long a, in long[] b, out long[] c, inout long[] d);
  float floats(float a, in float[] b, out float[] c, inout float[] d);
  double doubles(double a, in double[] b, out double[] c, inout double[] d);
  String strings(String a, in String[] b, out String[] c, inout String[] d, in @nullable String e, in @utf8InCpp String f);
  @nullable String[] nullable_strings(in @nullable String[] a, inout @nullable @utf8InCpp String[] b);
  @utf8InCpp List<String> lists(in List<String> a, out List<IBinder> b, inout List<Record> c, in @nullable List<ICallback> d);
  IBinder binders(IBinder a, @nullable IBinder b, in IBinder[] c, out @nullable IBinder[] d);
  ParcelFileDescriptor files(in ParcelFileDescriptor a, in ParcelFileDescriptor[] b, out ParcelFileDescriptor[] c);
  FileDescriptor descriptors(in FileDescriptor a);
  Record records(in Record a, out Record b, inout Record c, in Record[] d, @nullable in Record e);
  Kind kinds(Kind a, in Kind[] b, out Kind[] c);
  Shape shapes(in Shape a, in Shape.Circle b, out Shape.Tag[] c);
  ICallback callbacks(ICallback a, @nullable ICallback b, in ICallback[] c);
  int[2][3] fixed(in int[4] a, out String[2] b, inout Record[2][2] c);
  oneway void fire(int a);
  oneway void forget(in Record[] a, ICallback b);
  /** @deprecated with a note
   * that goes on
   */
  void old();
  /** @hide */
  void hidden();
  @PropagateAllowBlocking IBinder blocking();
  @EnforcePermission("A") void guarded();

  @Backing(type="int")
  enum Flags {
    NONE,
    A = 1 << 0,
    B = A << 1,
    C,
    ALL = A | B | C | Kind.TEN,
  }
  enum Kind { ONE = 1, TWO, @Deprecated TEN = 10, ALSO_TEN = TEN }

  interface INested {
    Kind kind(in Local a);
    parcelable Local {
      Flags flags = Flags.ALL;
      INested nested;
      union Choice { int number; Local[] locals; @nullable(heap=true) Choice inner; Tag tag; }
    }
  }
}
