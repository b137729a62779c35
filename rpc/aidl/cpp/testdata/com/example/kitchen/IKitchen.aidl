package com.example.kitchen;

import com.example.kitchen.ICook;
import com.example.menu.Amount;
import com.example.menu.Box;
import com.example.menu.Course;
import com.example.menu.Dish;
import com.example.menu.Heat;
import com.example.menu.Ingredient;
import com.example.menu.Recipe;
import com.example.menu.Weight;

/** Every type that a method can take and give. */
interface IKitchen {
    const int ERROR_BURNT = -1;
    const String NAME = "kitchen";
    const @utf8InCpp String MOTTO = "a la carte";

    /** How a kitchen is. */
    @Backing(type="int")
    enum Mood { CALM, BUSY, CLOSED }

    parcelable Report {
        Mood mood = Mood.CALM;
        String[] lines;
    }

    union Choice {
        int number;
        String text;
        Report report;
    }

    /** Speaks to the guests. */
    interface IWaiter {
        String say(String text);
    }

    /**
     * Adds.
     *
     * @param a one number
     * @return the sum
     */
    int add(int a, int b);
    void nothing();
    boolean repeatBoolean(boolean value);
    byte repeatByte(byte value);
    char repeatChar(char value);
    long repeatLong(long value);
    float repeatFloat(float value);
    double repeatDouble(double value);
    String repeatString(String value);
    @nullable String repeatNullableString(@nullable String value);
    Course repeatCourse(Course value);
    Mood repeatMood(Mood value);
    Dish cook(in Dish dish);
    @nullable Ingredient repeatNullableIngredient(in @nullable Ingredient value);
    Amount repeatAmount(in Amount value);
    Choice repeatChoice(in Choice value);
    Recipe repeatRecipe(in Recipe value);
    Weight repeatWeight(in Weight value);
    Box<Ingredient> repeatBox(in Box<Ingredient> value);
    Report report(in Report value);

    boolean[] reverseBooleans(in boolean[] value, out boolean[] repeated);
    byte[] reverseBytes(in byte[] value, out byte[] repeated);
    char[] reverseChars(in char[] value, out char[] repeated);
    int[] reverseInts(in int[] value, out int[] repeated);
    long[] reverseLongs(in long[] value, out long[] repeated);
    float[] reverseFloats(in float[] value, out float[] repeated);
    double[] reverseDoubles(in double[] value, out double[] repeated);
    String[] reverseStrings(in String[] value, out String[] repeated);
    Course[] reverseCourses(in Course[] value, out Course[] repeated);
    Heat[] reverseHeats(in Heat[] value, out Heat[] repeated);
    Ingredient[] reverseIngredients(in Ingredient[] value, out Ingredient[] repeated);
    List<String> reverseList(in List<String> value, out List<String> repeated);
    int[3] reverseFixed(in int[3] value, out int[3] repeated);
    @nullable int[] repeatNullableInts(in @nullable int[] value);
    @nullable String[] repeatNullableStrings(in @nullable String[] value);

    void season(inout Ingredient ingredient, inout int[] numbers, out @nullable int[] counts);

    void setCook(ICook cook);
    @nullable ICook getCook();
    @nullable ICook repeatCook(@nullable ICook cook);
    IBinder repeatBinder(IBinder value);
    @nullable IBinder repeatNullableBinder(@nullable IBinder value);
    IBinder[] repeatBinders(in IBinder[] value);
    IWaiter waiter(String greeting);
    List<ICook> repeatCooks(in List<ICook> value);
    ParcelFileDescriptor repeatPhoto(in ParcelFileDescriptor photo);
    @nullable ParcelFileDescriptor repeatNullablePhoto(in @nullable ParcelFileDescriptor photo);
    ParcelFileDescriptor[] repeatPhotos(in ParcelFileDescriptor[] photos);

    void fail(int exception, int code, String message);
    void throwsUp(String what);
    oneway void ring(String bell);
    /** @deprecated it has no end */
    void forget(int errno);
    int explicitTwo() ;
    Mood ping();
}
