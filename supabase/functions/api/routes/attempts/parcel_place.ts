import { JsonText, object } from "../../../_shared/json_text.ts";
import { Call } from "../../../_shared/route.ts";
import { Place } from "../../../_shared/storage.ts";

/** Where a parcel of the calling attempt lies; the database says whether it still holds. */
export async function parcelPlace(call: Call, name: JsonText | undefined): Promise<Place> {
  const token = JSON.stringify(call.attempt.token);
  return await call.need("attempt_parcel", object({ token, name })) as unknown as Place;
}
