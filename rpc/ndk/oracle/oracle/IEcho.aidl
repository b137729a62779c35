package oracle;

import oracle.IListener;
import oracle.Record;

// What Debian's aidl can generate NDK code for: it is of Android 10, without enums, unions, fixed-size arrays and some nullables. Arrays of
// parcelables are left out: its parcelables write themselves that they are not null, which the NDK's headers do since Android 11.
interface IEcho {
  const int ANSWER = 42;
  const String GREETING = "hello";

  boolean echoBoolean(boolean value);
  byte echoByte(byte value);
  char echoChar(char value);
  int echoInt(int value);
  long echoLong(long value);
  float echoFloat(float value);
  double echoDouble(double value);
  String echoString(String value);
  @nullable String echoNullableString(@nullable String value);

  boolean[] echoBooleans(in boolean[] value);
  byte[] echoBytes(in byte[] value);
  char[] echoChars(in char[] value);
  int[] echoInts(in int[] value);
  @nullable int[] echoNullableInts(in @nullable int[] value);
  long[] echoLongs(in long[] value);
  float[] echoFloats(in float[] value);
  double[] echoDoubles(in double[] value);
  String[] echoStrings(in String[] value);
  @nullable String[] echoNullableStrings(in @nullable String[] value);

  Record echoRecord(in Record value, inout Record changed, out Record filled);
  IBinder echoBinder(IBinder value);
  @nullable IBinder echoNullableBinder(@nullable IBinder value);
  IListener echoListener(IListener value);
  ParcelFileDescriptor echoFile(in ParcelFileDescriptor value);

  @utf8InCpp String echoUtf8(@utf8InCpp String value);
  @nullable boolean[] echoNullableBooleans(in @nullable boolean[] value);
  @nullable IListener echoNullableListener(@nullable IListener value);
  @nullable ParcelFileDescriptor echoNullableFile(in @nullable ParcelFileDescriptor value);
  // Doubles the numbers, adds a word; the flags become true.
  void change(inout int[] numbers, inout String[] words, out boolean[] flags);

  void fill(out int[] numbers, out String[] words);
  void fail(int exception, String message);
  oneway void tell(IListener listener, String text);
}
